/// A place in the file that names a device. Devices may be named before
/// `netdev` is read, so they are looked up at the end.
struct ConfigurationDeviceReference {
    enum Use {
        case route(index: Int)
        case statistics
        case forwardPair(partner: UnsafePointer<CChar>)
    }

    let use: Use
    let name: UnsafePointer<CChar>
    let line: Int
}
