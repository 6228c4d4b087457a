//! Serving: connections in, bounded in number and time; on stop, what is under way is finished.

use crate::tls::Tls;
use axum::Router;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use lockstep_core::limits;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

/// Serves until told to stop, then lets requests under way finish, within bounds.
pub async fn serve(listener: TcpListener, tls: Option<Tls>, router: Router, mut stop: watch::Receiver<bool>) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(Duration::from_millis(limits::REQUEST_READ_MS_MAX));
    let places = Arc::new(Semaphore::new(limits::CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    loop {
        let place = tokio::select! {
            place = Arc::clone(&places).acquire_owned() => place,
            _ = stop.changed() => break,
        };
        let Ok(place) = place else { break };
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of descriptors, or a connection that died while it waited: a moment helps.
                    tracing::warn!(error = %error, "a connection could not be taken");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            _ = stop.changed() => break,
        };
        // Answers are small; waiting to fill a packet only delays them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(error = %error, "a connection keeps its delay");
        }
        match &tls {
            None => {
                let service = TowerToHyperService::new(router.clone());
                // Boxed: a connection keeps the room for a request under way, also while its answer streams.
                let service = service_fn(move |request: Request<Incoming>| Box::pin(service.call(request)));
                let connection = graceful.watch(builder.serve_connection(TokioIo::new(stream), service));
                // Nothing but the connection: thousands of them wait at once.
                spawn(async move {
                    // A caller that breaks off is its own affair.
                    let _ = connection.await;
                    drop(place);
                });
            }
            Some(tls) => {
                let talk = Talk { builder: builder.clone(), router: router.clone(), watcher: graceful.watcher() };
                let tls = tls.clone();
                spawn(async move {
                    talk.over_tls(stream, &tls).await;
                    drop(place);
                });
            }
        }
    }
    drop(listener);
    let patience = Duration::from_millis(limits::DRAIN_MS_MAX);
    if tokio::time::timeout(patience, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests under way did not finish in time");
    }
}

/// One connection's worth of requests, over TLS.
struct Talk {
    builder: http1::Builder,
    router: Router,
    watcher: Watcher,
}

impl Talk {
    /// The handshake is the connection's own, so one that fails or takes its time is in nobody's way.
    async fn over_tls(self, stream: TcpStream, tls: &Tls) {
        let patience = Duration::from_millis(limits::TLS_HANDSHAKE_MS_MAX);
        match tokio::time::timeout(patience, tls.0.accept(stream)).await {
            Ok(Ok(stream)) => {
                let service = TowerToHyperService::new(self.router);
                let connection = self.builder.serve_connection(TokioIo::new(stream), service);
                let _ = self.watcher.watch(connection).await;
            }
            Ok(Err(error)) => tracing::debug!(error = %error, "a TLS handshake failed"),
            Err(_elapsed) => tracing::debug!("a TLS handshake took too long"),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where a connection becomes a task")]
fn spawn(connection: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(connection);
}
