//! Servers that answer every beat with `{"ok": true}`, each on its own port.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;

use super::{Directory, wait_for};

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{\"ok\": true}";

/// A running server. Dropping it ends the process.
pub(super) struct Server {
    process: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().expect("end a server");
        self.process.wait().expect("end a server");
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

impl Server {
    /// The URL of the server, for the agent and for curl.
    pub(super) fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    fn start(mut command: Command, port: u16) -> Self {
        let process = command.stderr(Stdio::null()).spawn().expect("start a server");
        let server = Self { process, port };
        wait_for(&format!("{command:?}"), || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        });
        server
    }

    /// `openssl s_server` with `NAME.pem` and these options.
    pub(super) fn openssl(directory: &Directory, name: &str, options: &str) -> Self {
        let port = free_port();
        let mut command = Command::new("openssl");
        command
            .args([
                "s_server",
                "-quiet",
                "-naccept",
                "1000",
                "-accept",
                &format!("127.0.0.1:{port}"),
            ])
            .arg("-cert")
            .arg(directory.path(&format!("{name}.pem")))
            .arg("-key")
            .arg(directory.path(&format!("{name}.key")))
            .args(options.split_whitespace())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut server = Self::start(command, port);
        let mut requests = server.process.stdout.take().expect("a pipe");
        let mut answers = server.process.stdin.take().expect("a pipe");
        thread::spawn(move || -> io::Result<()> {
            let mut buffer = [0; 4096];
            loop {
                let length = requests.read(&mut buffer)?;
                match buffer.get(..length) {
                    None | Some([]) => return Ok(()),
                    // A beat's body is an object and arrives in one piece.
                    Some(request) if request.ends_with(b"}") => {
                        answers.write_all(ANSWER.as_bytes())?
                    }
                    Some(_) => {}
                }
            }
        });
        server
    }

    /// nginx with `server.pem` and these lines in its server block.
    pub(super) fn nginx(directory: &Directory, options: &str) -> Self {
        let port = free_port();
        let here = directory.0.display();
        let configuration = format!(
            "daemon off; master_process off; pid {here}/nginx.pid; error_log /dev/null;\n\
             events {{ }}\n\
             http {{ access_log off;\n\
             client_body_temp_path {here}; proxy_temp_path {here}; fastcgi_temp_path {here};\n\
             uwsgi_temp_path {here}; scgi_temp_path {here};\n\
             server {{ listen 127.0.0.1:{port} ssl;\n\
             ssl_certificate {here}/server.pem; ssl_certificate_key {here}/server.key;\n\
             {}\n\
             location / {{ default_type application/json; return 200 '{{\"ok\": true}}'; }} }} }}\n",
            options.replace("camera.pem", &format!("{here}/camera.pem"))
        );
        let configuration = directory.write("nginx.conf", &configuration);
        let mut command = Command::new("nginx");
        command.arg("-p").arg(&directory.0).arg("-c").arg(configuration);
        Self::start(command, port)
    }

    /// HAProxy with `server.pem` and these options of its listener. If they verify client
    /// certificates, it requires one.
    pub(super) fn haproxy(directory: &Directory, options: &str) -> Self {
        let port = free_port();
        let here = directory.0.display();
        directory.openssl("cat server.pem server.key >both.pem");
        let deny = if options.contains("optional") {
            "http-request deny deny_status 403 if !{ ssl_c_used } || !{ ssl_c_verify 0 }"
        } else {
            ""
        };
        let configuration = format!(
            "defaults\n mode http\n timeout client 30s\n timeout connect 5s\n timeout server 30s\n\
             frontend all\n bind 127.0.0.1:{port} ssl crt {here}/both.pem {}\n {deny}\n \
             http-request return status 200 content-type application/json string '{{\"ok\": true}}'\n",
            options.replace("camera.pem", &format!("{here}/camera.pem"))
        );
        let configuration = directory.write("haproxy.conf", &configuration);
        let mut command = Command::new("haproxy");
        command.arg("-db").arg("-f").arg(configuration).stdout(Stdio::null());
        Self::start(command, port)
    }

    /// Apache with `server.pem` and these lines in its configuration.
    pub(super) fn apache(directory: &Directory, options: &str) -> Self {
        let port = free_port();
        let here = directory.0.display();
        let modules = ["mpm_event", "authz_core", "ssl", "rewrite"]
            .map(|it| format!("LoadModule {it}_module /usr/lib/apache2/modules/mod_{it}.so\n"))
            .concat();
        directory.write("answer", "{\"ok\": true}");
        let configuration = format!(
            "{modules}ServerRoot {here}\nServerName localhost\nListen 127.0.0.1:{port}\n\
             PidFile {here}/apache.pid\nErrorLog {here}/apache.log\nMutex file:{here}\n\
             DocumentRoot {here}\nUser nobody\nGroup nogroup\nSSLEngine on\nSSLCertificateFile {here}/server.pem\n\
             SSLCertificateKeyFile {here}/server.key\nRewriteEngine on\n\
             RewriteRule ^ /answer\n{}\n",
            options.replace("camera.pem", &format!("{here}/camera.pem"))
        );
        let configuration = directory.write("apache.conf", &configuration);
        let mut command = Command::new("apache2");
        command.arg("-X").arg("-f").arg(configuration).stdout(Stdio::null());
        Self::start(command, port)
    }
}
