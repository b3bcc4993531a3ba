//! The server's side of TLS, with early data (RFC 8446 §2.3): data that the client sends before the
//! end of the handshake is read and answered before that end.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::{HandshakeKind, ServerConfig, ServerConnection, StreamOwned};

use super::Stream;

/// One connection.
pub(super) struct Tls {
    stream: StreamOwned<ServerConnection, TcpStream>,
    early: bool,
}

impl Tls {
    pub(super) fn new(config: Arc<ServerConfig>, stream: TcpStream) -> io::Result<Self> {
        let session = ServerConnection::new(config).map_err(io::Error::other)?;
        Ok(Self { stream: StreamOwned::new(session, stream), early: false })
    }

    /// Continues the handshake until it is complete, or until early data arrives.
    pub(super) fn establish(&mut self) -> io::Result<()> {
        while self.stream.conn.is_handshaking() && self.stream.conn.early_data().is_none() {
            self.step()?;
        }
        Ok(())
    }

    /// Whether the handshake was abbreviated.
    pub(super) fn is_resumed(&self) -> bool {
        self.stream.conn.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// Sends close_notify.
    pub(super) fn say_goodbye(&mut self) -> io::Result<()> {
        self.stream.conn.send_close_notify();
        self.flush()
    }

    /// Reads once from the socket and sends the answer to what was read.
    fn step(&mut self) -> io::Result<()> {
        let StreamOwned { conn, sock } = &mut self.stream;
        if conn.read_tls(sock)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let processed = conn.process_new_packets().map_err(io::Error::other);
        // Sends the alert, if there is one.
        self.flush()?;
        processed.map(drop)
    }
}

impl Stream for Tls {
    fn security(&self) -> String {
        let version = self.stream.conn.protocol_version().and_then(|it| it.as_str());
        let resumed = if self.is_resumed() { " resumed" } else { "" };
        format!("{}{resumed}", version.unwrap_or("TLS"))
    }

    fn is_early(&self) -> bool {
        self.early
    }
}

impl Read for Tls {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.stream.conn.is_handshaking() {
            let early = self.stream.conn.early_data().map_or(Ok(0), |mut it| it.read(buffer))?;
            if early > 0 {
                self.early = true;
                return Ok(early);
            }
            self.step()?;
        }
        let early = self.stream.conn.early_data().map_or(Ok(0), |mut it| it.read(buffer))?;
        self.early = early > 0;
        if self.early { Ok(early) } else { self.stream.read(buffer) }
    }
}

impl Write for Tls {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Writing through the stream would complete the handshake first.
        let written = self.stream.conn.writer().write(bytes)?;
        self.flush()?;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let StreamOwned { conn, sock } = &mut self.stream;
        while conn.wants_write() {
            conn.write_tls(sock)?;
        }
        Ok(())
    }
}
