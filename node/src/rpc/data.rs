//! Contents by their hash, beside the gRPC services.

use std::convert::Infallible;
use std::fmt::Display;
use std::task::{Context, Poll};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use paralith_data::{ResponseBody, Service};
use tonic::codegen::{Body as HttpBody, Bytes, Service as HttpService, http};
use tonic::service::Routes;

/// The routes with `/data/<64 hex>`.
pub(super) fn with_contents(mut routes: Routes, service: Service) -> Routes {
    let router = std::mem::take(routes.axum_router_mut());
    Routes::from(router.route_service("/data/{content}", Contents(service)))
}

#[derive(Debug, Clone)]
struct Contents(Service);

impl<B> HttpService<http::Request<B>> for Contents
where
    B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Display,
{
    type Response = http::Response<ResponseBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        self.0.clone().answer(request).map(Ok).boxed()
    }
}
