//! The shortest possible time of a trigger on this machine: an eventfd wakes a thread, which writes
//! to an open connection, which wakes the reader behind the router. Without an agent; with TLS or
//! without.

use std::io::{self, Read, Write};
use std::mem;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use linkbeat_support::clock;
use linkbeat_support::journal::Journal;
use linkbeat_support::world::{SERVER, SERVER_NAME, World};
use rustix::event::{EventfdFlags, eventfd};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// A port of the server that nothing else uses.
const PORT: u16 = 9;
/// The size of a request of linkbeat.
const SEGMENT: [u8; 700] = [0; 700];
/// The device key of these requests.
const KEY: &str = "floor";
/// Time limit for a segment.
const PATIENCE: Duration = Duration::from_secs(5);

/// A sender in the device, and the times at which a reader in the internet had everything.
pub(crate) struct Floor {
    name: &'static str,
    times: Vec<u64>,
    wake: Arc<OwnedFd>,
    read: Box<dyn FnMut() -> Option<u64>>,
}

impl Floor {
    /// Sends segments to a reader of its own.
    pub(crate) fn plain(world: &World) -> io::Result<Self> {
        let listener = world.internet.within(|| TcpListener::bind((SERVER[0], PORT)))?;
        let mut sender = connect(world, PORT)?;
        let (mut reader, _) = listener.accept()?;
        let times = Journal::default();
        let mut read = times.follow();
        // The thread ends with the process, or when the sender is dropped.
        thread::spawn(move || {
            let mut segment = SEGMENT;
            while reader.read_exact(&mut segment).is_ok() {
                times.push(clock::boot_us());
            }
        });
        let wake = woken(move || sender.write_all(&SEGMENT))?;
        let read = Box::new(move || read.find(PATIENCE, |_| true));
        Ok(Self { name: "floor: one wake-up, one segment", times: Vec::new(), wake, read })
    }

    /// Sends requests over TLS to the server of the agents.
    pub(crate) fn with_tls(world: &World) -> io::Result<Self> {
        let mut stream = tls(world)?;
        let body = " ".repeat(SEGMENT.len() - 100);
        let request = format!(
            "POST /api/devices/{KEY}/online HTTP/1.1\r\nHost: {SERVER_NAME}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut beats = world.receiver.beats().follow();
        let wake = woken(move || {
            stream.write_all(request.as_bytes())?;
            // The answer is one record.
            stream.read(&mut [0; 4096]).map(drop)
        })?;
        let read = move || Some(beats.find(PATIENCE, |it| it.device_key() == KEY)?.received_us);
        let times = Vec::new();
        let mut floor =
            Self { name: "floor: the same over TLS", times, wake, read: Box::new(read) };
        // The first request includes the handshake.
        floor.measure()?;
        floor.times.clear();
        Ok(floor)
    }

    /// Wakes the sender and records the µs until the reader had everything.
    pub(crate) fn measure(&mut self) -> io::Result<()> {
        let began_us = clock::boot_us();
        rustix::io::write(&self.wake, &1_u64.to_ne_bytes())?;
        let read_us = (self.read)().ok_or_else(|| io::Error::other("a segment was lost"))?;
        self.times.push(read_us.saturating_sub(began_us));
        Ok(())
    }

    /// Its name in the results.
    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the times recorded since the last call.
    pub(crate) fn take(&mut self) -> Vec<u64> {
        mem::take(&mut self.times)
    }
}

fn connect(world: &World, port: u16) -> io::Result<TcpStream> {
    let stream = world.device.within(|| TcpStream::connect((SERVER[0], port)))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn tls(world: &World) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let authority = world.certificates().authority_pem().as_bytes();
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_slice(authority).map_err(io::Error::other)?;
    roots.add(authority).map_err(io::Error::other)?;
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(SERVER_NAME).map_err(io::Error::other)?;
    let session = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    Ok(StreamOwned::new(session, connect(world, 443)?))
}

/// Starts a thread that does this for each write to the eventfd, until it fails.
fn woken(mut work: impl FnMut() -> io::Result<()> + Send + 'static) -> io::Result<Arc<OwnedFd>> {
    let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC)?);
    let waiting = Arc::clone(&wake);
    thread::spawn(move || {
        let mut count = [0; 8];
        while rustix::io::read(&waiting, &mut count).is_ok() && work().is_ok() {}
    });
    Ok(wake)
}

/// Keeps every processor awake with work of idle priority (sched(7), SCHED_IDLE). Dropping it lets
/// them sleep.
pub(crate) struct Awake(Vec<Child>);

impl Awake {
    pub(crate) fn start() -> io::Result<Self> {
        let mut awake = Self(Vec::new());
        for _ in 0..thread::available_parallelism()?.get() {
            let mut command = Command::new("chrt");
            command.args(["--idle", "0", "sh", "-c", "while :; do :; done"]);
            awake.0.push(command.stdin(Stdio::null()).spawn()?);
        }
        Ok(awake)
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // It may have ended already.
            child.kill().ok();
            child.wait().ok();
        }
    }
}
