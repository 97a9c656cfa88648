"""Translate between the messages of secagg and federation and their bytes on the wire (proto/fecosr/v1).

Only this package knows protobuf. Decoding is strict: every length, name, count and choice that proto/
documents is checked, and whatever breaks one raises ProtocolViolation with the name of the peer it came from.
Fields that this version does not know are ignored, so that a later one can add some.
"""
