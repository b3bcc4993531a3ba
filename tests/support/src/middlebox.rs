//! A middlebox in the router that answers in place of the server, such as an accelerator or a
//! captive portal.

use std::net::TcpListener;

use crate::receiver::{Receiver, Scheme};
use crate::space::run;
use crate::world::World;

/// The ports that it listens on: for plain HTTP and for TLS.
const PLAIN: u16 = 8080;
const SECURE: u16 = 8443;

/// A middlebox on the line of one uplink, which intercepts from [`Middlebox::close`] on.
pub struct Middlebox {
    /// The server that answers in it.
    pub receiver: Receiver,
    matching: String,
    mute: bool,
}

impl Middlebox {
    /// Intercepts the new connections of `interface` to the ports 80 and 443 with a receiver that
    /// behaves as `what` says. Existing connections are not affected.
    #[must_use]
    pub fn on(world: &World, interface: &str, what: &str) -> Self {
        Self::taking(world, &format!("iifname \"r-{interface}\""), what)
    }

    /// Intercepts the packets that this expression of nft matches.
    ///
    /// # Panics
    ///
    /// If it cannot listen, or `what` is no behaviour of a receiver.
    #[must_use]
    pub fn taking(world: &World, matching: &str, what: &str) -> Self {
        let receiver = world.router.within(|| {
            let listen = |port| TcpListener::bind(("::", port)).expect("bind the box");
            let listeners = vec![(listen(SECURE), Scheme::Https), (listen(PLAIN), Scheme::Http)];
            Receiver::start(listeners, world.certificates())
        });
        receiver.follow(what).expect("something that a receiver does");
        // A server of plain HTTP reads the first TLS message as a request without an end.
        let mute = what == "hang";
        let middlebox = Self { receiver, matching: matching.to_owned(), mute };
        middlebox.close(world);
        middlebox
    }

    /// Starts to intercept new connections.
    pub fn close(&self, world: &World) {
        let Self { matching, mute, .. } = self;
        let secure = if *mute { PLAIN } else { SECURE };
        world.router.nft(&format!(
            "table inet box {{
                chain turn {{
                    type nat hook prerouting priority -100
                    {matching} tcp dport 80 redirect to :{PLAIN}
                    {matching} tcp dport 443 redirect to :{secure}
                }}
            }}"
        ));
    }

    /// Lets new connections pass.
    pub fn open(&self, world: &World) {
        run(world.router.command("nft").args(["delete", "table", "inet", "box"]), "");
    }
}
