//! A way to the server's HTTP port that can be cut: how a WebSocket dies without either end wanting it.

use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::failure::{Failure, Step};

/// Connections that run through here until they are cut.
pub(crate) struct Proxy {
    address: SocketAddr,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    pub(crate) fn start(at: IpAddr, server: SocketAddr) -> Step<Self> {
        let listener = TcpListener::bind((at, 0)).map_err(Failure::io("opening a proxy"))?;
        let address = listener.local_addr().map_err(Failure::io("opening a proxy"))?;
        let open = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&open);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                join(client, server, &kept).unwrap_or_default();
            }
        });
        Ok(Self { address, open })
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Ends every connection that is open; gives how many. New ones are welcome at once.
    pub(crate) fn cut(&self) -> usize {
        let cut: Vec<_> = lock(&self.open).drain(..).collect();
        for stream in &cut {
            stream.shutdown(Shutdown::Both).unwrap_or_default();
        }
        cut.len() / 2
    }
}

fn join(client: TcpStream, server: SocketAddr, open: &Mutex<Vec<TcpStream>>) -> io::Result<()> {
    let server = TcpStream::connect(server)?;
    lock(open).extend([client.try_clone()?, server.try_clone()?]);
    for (mut from, mut to) in [(client.try_clone()?, server.try_clone()?), (server, client)] {
        thread::spawn(move || {
            drop(io::copy(&mut from, &mut to));
            to.shutdown(Shutdown::Both).unwrap_or_default();
        });
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
