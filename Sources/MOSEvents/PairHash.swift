/// The 64-bit hash of one (event, handler) pair. A set's id is the XOR of its
/// pairs' hashes, so each bit has to depend on all bits of the pair.
enum PairHash {
    /// Multiplies to 128 bits and folds, twice, with odd constants taken from
    /// the fractions of √2, √3, √5 and √7.
    @inline(__always)
    static func mix(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let first = fold(a ^ 0x6A09_E667_F3BC_C909, b ^ 0xBB67_AE85_84CA_A73B)
        return fold(first ^ 0x3C6E_F372_FE94_F82B, a &+ 0xA54F_F53A_5F1D_36F1)
    }

    @inline(__always)
    private static func fold(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let product = a.multipliedFullWidth(by: b)
        return product.high ^ product.low
    }
}
