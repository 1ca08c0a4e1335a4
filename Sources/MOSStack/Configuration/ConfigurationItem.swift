/// `key = value` as it stands in the file.
struct ConfigurationItem {
    let key: ConfigurationKey
    let value: ConfigurationBytes
    let line: Int
}
