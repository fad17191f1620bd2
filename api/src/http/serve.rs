//! Accepts HTTP connections, within limits.
//!
//! Invariants:
//! - a client that does not say what it wants is cut off after [`HEADER_MAX`];
//! - at most [`CONNECTIONS_MAX`] at a time: more wait in the kernel until one ends;
//! - when it is time to stop, requests that are being answered end, idle connections are closed.

use std::{sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::sleep,
};

/// How long a client may take to send the head of a request, or to think of another one.
const HEADER_MAX: Duration = Duration::from_secs(30);
/// Higher: more clients, each WebSocket is one. Lower: fewer descriptors and less memory for strangers.
const CONNECTIONS_MAX: usize = 32_768;
/// What accepting waits when the process has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `quitting` changes, then until the last request ends.
pub(crate) async fn serve(listener: TcpListener, router: Router, mut quitting: watch::Receiver<()>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            accepted = accepted => accepted,
            _ = quitting.changed() => break,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, _)) => {
                let (router, quitting) = (router.clone(), quitting.clone());
                connections.spawn(async move {
                    attend(stream, router, quitting).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "no HTTP connection can be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn attend(stream: TcpStream, router: Router, mut quitting: watch::Receiver<()>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "small frames may wait");
    }
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = quitting.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "HTTP connection ended");
    }
}
