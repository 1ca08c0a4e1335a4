// Only the link settings of libmos.so live here: see Package.swift.
