"""Small cryptographic pieces over pyca/cryptography; verification raises, secrets never show in a repr."""
