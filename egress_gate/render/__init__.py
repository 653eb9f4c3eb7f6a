"""What leaves is written here, by the gate: canonical tables, a deterministic bundle, the certificate's facts."""
