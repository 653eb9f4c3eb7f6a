"""One function per verb. Each is one store transaction with its ledger entry; the time comes from the caller."""
