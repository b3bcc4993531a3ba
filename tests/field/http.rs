//! Beats through nginx, HAProxy, Apache, Caddy and lighttpd, over plain HTTP and TLS. The agent
//! gets the same responses as curl and keeps its connection. Responses of these servers themselves
//! are classified correctly.

use std::fmt::Write as _;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use linkbeat_support::agent::{Agent, SOON, Setting, binary_or};
use linkbeat_support::clock;
use linkbeat_support::world::{SERVER, SERVER_NAME, World};
use serde_json::Value;

use crate::daemon::Daemon;

/// Number of beats on one connection.
const BEATS: usize = 4;
/// Ports of a server under test, for plain HTTP and TLS.
const PLAIN: u16 = 8080;
const TLS: u16 = 8443;
/// Time between two status requests.
const LOOK: Duration = Duration::from_millis(50);

impl Daemon {
    /// Starts `program` with these arguments on the internet, and waits until all `ports` accept
    /// connections. `text` is its configuration, stored as `name`; `{}` stands for the directory of
    /// the world.
    fn start(
        world: &World,
        program: &str,
        words: &[&str],
        name: &str,
        text: &str,
        ports: &[u16],
    ) -> Self {
        let directory = world.directory().to_str().expect("a path of ours").to_owned();
        fs::write(world.directory().join(name), text.replace("{}", &directory))
            .expect("own directory");
        make_certificate(world);
        let mut command = world.internet.command(program);
        command.args(words.iter().map(|word| word.replace("{}", &directory)));
        command.env("HOME", &directory).current_dir(&directory);
        let log = fs::File::create(world.directory().join("log")).expect("own directory");
        command.stdout(log.try_clone().expect("a descriptor")).stderr(log);
        let takes = |port: &u16| {
            let address = SocketAddr::new(SERVER[0].parse().expect("an address"), *port);
            world.internet.within(|| TcpStream::connect(address)).is_ok()
        };
        let said = || fs::read_to_string(world.directory().join("log")).unwrap_or_default();
        Self::spawn(&mut command, || ports.iter().all(takes), said)
    }
}

fn passed(since_us: u64) -> Duration {
    Duration::from_micros(clock::boot_us() - since_us)
}

/// Creates a certificate for the servers of this world: `server.pem` (certificate and key),
/// `cert.pem` and `key.pem`.
fn make_certificate(world: &World) {
    let made = rcgen::generate_simple_self_signed([SERVER_NAME.to_owned()]).expect("a certificate");
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    for (name, text) in [
        ("cert.pem", certificate.clone()),
        ("key.pem", key.clone()),
        ("server.pem", certificate.clone() + &key),
        ("ca.pem", certificate),
    ] {
        fs::write(world.directory().join(name), text).expect("own directory");
    }
}

/// An agent that beats each second to the server under test.
struct Camera {
    agent: Agent,
    url: String,
}

impl Camera {
    /// Starts the agent. `prefix` is empty or a path that begins with `/`.
    fn start(world: &World, port: u16, prefix: &str) -> Self {
        let scheme = if port == PLAIN { "http" } else { "https" };
        let url = format!("{scheme}://{SERVER_NAME}:{port}{prefix}");
        let setting = Setting::new(world).meeting("api_url", &*url).every(1);
        Self {
            agent: Agent::start(world, binary_or(env!("CARGO_BIN_EXE_linkbeat")), &setting),
            url,
        }
    }

    /// Waits until the status has the wanted state, and returns it.
    fn shows(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut pause = self.agent.lines().follow();
        let since_us = clock::boot_us();
        loop {
            let said = self.agent.ask("status").unwrap_or_default();
            let status: Value = serde_json::from_str(&said).unwrap_or_default();
            if wanted(&status) {
                return status;
            }
            assert!(passed(since_us) < 2 * SOON, "{} never shows {what}: {status:#}", self.url);
            pause.find(LOOK, |_| false);
        }
    }

    /// Number of connections since start.
    fn connections(&self) -> u64 {
        let history: Value =
            serde_json::from_str(&self.agent.ask("history").expect("an answer")).expect("JSON");
        history["counters"]["connections"].as_u64().expect("a number")
    }

    /// The HTTP status that curl gets for a beat with these arguments; 0 without a response.
    fn curl(&self, world: &World, words: &[&str]) -> u16 {
        let url = format!("{}/api/devices/curl/online", self.url);
        let always =
            ["-s", "-m", "5", "--cacert", "/etc/ca.pem", "-o", "/dev/null", "-w", "%{http_code}"];
        let asked = ["-H", "Content-Type: application/json", "-d", r#"{"reason":"curl"}"#, &url];
        let said = self.agent.beside(world, "curl", &[&always[..], words, &asked].concat());
        String::from_utf8_lossy(&said.stdout).parse().expect("curl says the status")
    }
}

/// Beats pass the server, on one connection for each scheme, and curl gets the same result.
fn carries_beats(world: &World) {
    for port in [PLAIN, TLS] {
        let mut beats = world.receiver.beats().follow();
        let camera = Camera::start(world, port, "");
        for _ in 0..BEATS {
            beats.expect("beat", SOON, |beat| beat.device_key() == "camera-1");
        }
        camera.shows("online", |status| status["state"] == "online");
        assert_eq!(camera.connections(), 1, "{}", camera.url);
        assert_eq!(camera.curl(world, &[]), 200, "{}", camera.url);
    }
}

const NGINX: [&str; 4] = ["-p", "{}", "-c", "{}/nginx.conf"];

/// A configuration of nginx as a reverse proxy, with further locations.
fn nginx(locations: &str) -> String {
    format!(
        "daemon off; user root; error_log stderr; pid {{}}/nginx.pid;
         events {{ }}
         http {{
             access_log off;
             proxy_http_version 1.1;
             client_body_temp_path {{}}/body; proxy_temp_path {{}}/proxy; fastcgi_temp_path {{}}/fastcgi;
             uwsgi_temp_path {{}}/uwsgi; scgi_temp_path {{}}/scgi;
             server {{
                 listen 203.0.113.10:8080;
                 listen 203.0.113.10:8443 ssl;
                 ssl_certificate {{}}/cert.pem;
                 ssl_certificate_key {{}}/key.pem;
                 location / {{ proxy_pass http://203.0.113.10:80; }}
                 {locations}
             }}
         }}"
    )
}

#[test]
fn nginx_carries_beats_on_one_connection() {
    let world = World::new();
    let _nginx = Daemon::start(&world, "nginx", &NGINX, "nginx.conf", &nginx(""), &[PLAIN, TLS]);
    carries_beats(&world);
}

#[test]
fn haproxy_carries_beats_on_one_connection() {
    let text = "global
            stats timeout 30s
        defaults
            mode http
            timeout connect 5s
            timeout client 60s
            timeout server 60s
        frontend meeting
            bind 203.0.113.10:8080
            bind 203.0.113.10:8443 ssl crt {}/server.pem
            default_backend meeting
        backend meeting
            server one 203.0.113.10:80\n";
    let world = World::new();
    let words = ["-db", "-f", "{}/haproxy.cfg"];
    let _haproxy = Daemon::start(&world, "haproxy", &words, "haproxy.cfg", text, &[PLAIN, TLS]);
    carries_beats(&world);
}

#[test]
fn apache_carries_beats_on_one_connection() {
    let mut text = String::new();
    for module in ["mpm_event", "authz_core", "proxy", "proxy_http", "socache_shmcb", "ssl"] {
        writeln!(text, "LoadModule {module}_module /usr/lib/apache2/modules/mod_{module}.so")
            .unwrap();
    }
    text += "ServerRoot {}
        ServerName meeting.test
        PidFile {}/apache.pid
        ErrorLog /dev/stderr
        KeepAlive On
        KeepAliveTimeout 60
        User www-data
        Group www-data
        Mutex file:{} default
        Listen 203.0.113.10:8080
        Listen 203.0.113.10:8443
        ProxyPass / http://203.0.113.10:80/
        <VirtualHost 203.0.113.10:8443>
            ServerName meeting.test
            SSLEngine on
            SSLCertificateFile {}/cert.pem
            SSLCertificateKeyFile {}/key.pem
            ProxyPass / http://203.0.113.10:80/
        </VirtualHost>\n";
    let world = World::new();
    let words = ["-D", "FOREGROUND", "-f", "{}/apache.conf"];
    let _apache = Daemon::start(&world, "apache2", &words, "apache.conf", &text, &[PLAIN, TLS]);
    carries_beats(&world);
}

#[test]
fn caddy_carries_beats_on_one_connection() {
    let text = "{
            admin off
            auto_https off
        }
        http://meeting.test:8080 {
            reverse_proxy 203.0.113.10:80
        }
        https://meeting.test:8443 {
            tls [DIR]/cert.pem [DIR]/key.pem
            reverse_proxy 203.0.113.10:80
        }\n"
    .replace("[DIR]", "{}");
    let world = World::new();
    let words = ["run", "--adapter", "caddyfile", "--config", "{}/Caddyfile"];
    let _caddy = Daemon::start(&world, "caddy", &words, "Caddyfile", &text, &[PLAIN, TLS]);
    carries_beats(&world);
}

#[test]
fn lighttpd_carries_beats_on_one_connection() {
    let text = r#"server.modules = ( "mod_proxy", "mod_openssl" )
        server.document-root = "{}"
        server.bind = "203.0.113.10"
        server.port = 8080
        server.max-keep-alive-requests = 1000
        server.max-keep-alive-idle = 60
        proxy.server = ( "" => ( ( "host" => "203.0.113.10", "port" => 80 ) ) )
        $SERVER["socket"] == "203.0.113.10:8443" {
            ssl.engine = "enable"
            ssl.pemfile = "{}/server.pem"
        }
    "#;
    let world = World::new();
    let words = ["-D", "-f", "{}/lighttpd.conf"];
    let _lighttpd = Daemon::start(&world, "lighttpd", &words, "lighttpd.conf", text, &[PLAIN, TLS]);
    carries_beats(&world);
}

/// Response fields of 64 KB: ten cookies of 3 KB, and 500 other fields.
fn fields() -> String {
    let mut fields = String::new();
    for number in 0..10 {
        writeln!(fields, "add_header Set-Cookie \"c{number}={}\" always;", "x".repeat(3000))
            .unwrap();
    }
    for number in 0..500 {
        writeln!(fields, "add_header X-Field-{number} \"{}\" always;", "y".repeat(50)).unwrap();
    }
    fields
}

#[test]
fn responses_of_nginx_itself_are_classified_correctly() {
    let large = format!("location /large/ {{ {} proxy_pass http://203.0.113.10:80/; }}", fields());
    let own = "location /none/ { return 204; }
        location /moved/ { return 301 https://meeting.test/new$request_uri; }
        location /304/ { return 304; }
        location /busy/ { add_header Retry-After 1.5 always; return 503; }
        location /closed/ { return 444; }
        location /small/ { client_max_body_size 1; proxy_pass http://203.0.113.10:80/; }
        location /login/ { default_type text/html; return 200 '<html><body>Log in'; }
        location /refused/ { default_type application/json; return 200 '{\"ok\": false}'; }
        location /broken/ { proxy_pass http://203.0.113.10:9; }";
    let world = World::new();
    let text = nginx(&(large + own));
    let _nginx = Daemon::start(&world, "nginx", &NGINX, "nginx.conf", &text, &[PLAIN, TLS]);
    for (prefix, state, cause, status) in [
        ("/large", "online", "", 200),
        ("/none", "online", "", 204),
        ("/moved", "rejected", "http_301", 301),
        ("/304", "rejected", "http_304", 304),
        ("/busy", "rejected", "http_503", 503),
        ("/closed", "server_silent", "closed", 0),
        ("/small", "rejected", "http_413", 413),
        ("/login", "captive_portal", "captive_portal", 200),
        ("/refused", "rejected", "not_accepted", 200),
        ("/broken", "rejected", "http_502", 502),
    ] {
        let camera = Camera::start(&world, PLAIN, prefix);
        let shown = camera.shows(state, |status| status["state"] == state);
        assert_eq!(shown["cause"].as_str().unwrap_or_default(), cause, "{prefix}");
        assert_eq!(camera.curl(&world, &[]), status, "{prefix}");
    }
}

#[test]
fn ports_with_http_2_only_are_recognized() {
    let nginx = nginx("location /none/ { return 204; }").replace(":8080;", ":8080 http2;");
    let nghttpd = ["--no-tls", "--address=203.0.113.10", "--htdocs={}", "8080"];
    for (program, words, name, text) in
        [("nginx", &NGINX, "nginx.conf", &*nginx), ("nghttpd", &nghttpd, "index.html", "")]
    {
        let world = World::new();
        let _server = Daemon::start(&world, program, words, name, text, &[PLAIN]);
        let camera = Camera::start(&world, PLAIN, "/none");
        camera.shows("http2_only", |status| status["cause"] == "http2_only");
        camera.agent.said("speaks no HTTP/1.1 at this port");
        assert_eq!(camera.curl(&world, &["--http1.1"]), 0, "{program}");
        // Without a body, because nginx resets a stream whose request it does not have to read.
        assert_ne!(camera.curl(&world, &["--http2-prior-knowledge", "--get"]), 0, "{program}");
    }
}
