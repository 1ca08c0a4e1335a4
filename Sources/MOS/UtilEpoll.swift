// mtcp_epoll.h: names of readiness bits.
import CMOS

@c @implementation
public func EventToString(_ event: UInt32) -> UnsafeMutablePointer<CChar>! {
    let name: StaticString
    switch event {
    case 1 &<< 0: name = "MOS_EPOLLNONE"
    case 1 &<< 1: name = "MOS_EPOLLIN"
    case 1 &<< 2: name = "MOS_EPOLLPRI"
    case 1 &<< 3: name = "MOS_EPOLLOUT"
    case 1 &<< 4: name = "MOS_EPOLLRDNORM"
    case 1 &<< 5: name = "MOS_EPOLLRDBAND"
    case 1 &<< 6: name = "MOS_EPOLLWRNORM"
    case 1 &<< 7: name = "MOS_EPOLLWRBAND"
    case 1 &<< 8: name = "MOS_EPOLLMSG"
    case 1 &<< 9: name = "MOS_EPOLLERR"
    case 1 &<< 10: name = "MOS_EPOLLHUP"
    case 1 &<< 11: name = "MOS_EPOLLRDHUP"
    case 1 &<< 30: name = "MOS_EPOLLONESHOT"
    case 1 &<< 31: name = "MOS_EPOLLET"
    default: name = "unknown"
    }
    // A string literal's bytes end in a zero and live for ever; the header
    // says that they are not to be changed.
    return UnsafeMutableRawPointer(mutating: name.utf8Start).assumingMemoryBound(to: CChar.self)
}
