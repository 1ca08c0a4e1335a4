import CPcap

extension cpcap_file_id {
    /// One file, by whatever names.
    private func isSame(as other: cpcap_file_id) -> Bool {
        device == other.device && inode == other.inode
    }

    /// What is written here changes what is read there. (Both ends of a socket
    /// may be one file, and terminals and `/dev/null` bear anything.)
    func overwrites(_ input: cpcap_file_id) -> Bool {
        regular != 0 && isSame(as: input)
    }

    /// What both write is mixed up.
    func mixes(with output: cpcap_file_id) -> Bool {
        (regular != 0 || stream != 0) && isSame(as: output)
    }

    /// What one reads is missing for the other.
    func competes(with input: cpcap_file_id) -> Bool {
        stream != 0 && isSame(as: input)
    }
}
