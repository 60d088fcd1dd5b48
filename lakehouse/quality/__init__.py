"""Check what tables and topics hold against what is declared beside the contracts."""
