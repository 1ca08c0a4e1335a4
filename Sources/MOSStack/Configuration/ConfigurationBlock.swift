/// Where in a configuration the reader is.
enum ConfigurationBlock: UInt8 {
    case file, application, mos, netdev, arpTable, routeTable, forwardTable

    /// The block of this name inside one of this kind.
    static func named(_ text: ConfigurationBytes, in parent: ConfigurationBlock) -> ConfigurationBlock? {
        for value in application.rawValue...forwardTable.rawValue {
            if let block = ConfigurationBlock(rawValue: value), block.parent == parent, text.equals(block.name) {
                return block
            }
        }
        return nil
    }

    private var parent: ConfigurationBlock {
        self == .application || self == .mos ? .file : .mos
    }

    /// Lines of words, not items.
    var isTable: Bool {
        rawValue >= ConfigurationBlock.netdev.rawValue
    }

    var name: StaticString {
        switch self {
        case .file: return "the file"
        case .application: return "application"
        case .mos: return "mos"
        case .netdev: return "netdev"
        case .arpTable: return "arp_table"
        case .routeTable: return "route_table"
        case .forwardTable: return "nic_forward_table"
        }
    }
}
