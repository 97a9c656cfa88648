"""What an operator looks at: dashboard and metrics of one process, served from a thread of their own.

    token         who may look
    following     the newest view of what is going on
    audit_file    the newest audit that somebody put beside it
    exposition    metrics in the text format of Prometheus
    application   the few addresses there are, all of them read-only
    bounded       connections that are few and end
    server        the thread, its port, its TLS
    assets/       the page: HTML, CSS and JavaScript by hand, nothing from anywhere else

Nothing here can change a run or slow it down: a visitor costs a look at a value that is there already.
"""
