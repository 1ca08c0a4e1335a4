/// How much is logged: this and what is more serious.
public enum ConfigurationLogLevel: UInt8 {
    case error, warning, info, debug

    var name: StaticString {
        switch self {
        case .error: return "error"
        case .warning: return "warning"
        case .info: return "info"
        case .debug: return "debug"
        }
    }

    static func named(_ text: ConfigurationBytes) -> ConfigurationLogLevel? {
        for value in error.rawValue...debug.rawValue {
            if let level = ConfigurationLogLevel(rawValue: value), text.equals(level.name) {
                return level
            }
        }
        return nil
    }
}
