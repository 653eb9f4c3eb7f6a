"""One function per verb. Each is one transaction with its ledger entry; what is refused changes nothing."""
