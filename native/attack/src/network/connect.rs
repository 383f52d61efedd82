//! One way to ask whether somebody is there. What is not answered at once is not there: nothing but loopback exists.
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_millis(300);

pub fn tcp(address: &str) -> Result<(), i32> {
    let address: SocketAddr = address.parse().map_err(|_| libc::EINVAL)?;
    match TcpStream::connect_timeout(&address, PATIENCE) {
        // In a network of its own a connection may meet itself: where the port that it was given is the one that it asks for.
        Ok(stream) if stream.local_addr().ok() == stream.peer_addr().ok() => Err(libc::ECONNREFUSED),
        Ok(_) => Ok(()),
        Err(error) => Err(error.raw_os_error().unwrap_or(libc::ETIMEDOUT)),
    }
}

/// Sends, and waits for any answer.
pub fn udp(address: &str, message: &[u8]) -> Result<(), i32> {
    let address: SocketAddr = address.parse().map_err(|_| libc::EINVAL)?;
    let own = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let number = |error: std::io::Error| error.raw_os_error().unwrap_or(libc::ETIMEDOUT);
    let socket = UdpSocket::bind(own).map_err(number)?;
    socket.set_read_timeout(Some(PATIENCE)).map_err(number)?;
    socket.send_to(message, address).map_err(number)?;
    socket.recv(&mut [0; 512]).map(drop).map_err(number)
}

/// Did it leave, whether or not somebody answered?
pub fn leaves(address: &str) -> bool {
    let Ok(address) = address.parse::<SocketAddr>() else {
        return false;
    };
    let own = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    UdpSocket::bind(own).is_ok_and(|socket| socket.send_to(b"caisson", address).is_ok())
}
