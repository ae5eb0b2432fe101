"""Soak test: many tickets pass through real services, while memory, descriptors, connections and bloat are sampled."""
