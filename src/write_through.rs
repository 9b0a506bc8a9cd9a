//! Writing to the stream that one wraps: a wrapper that only reads otherwise says so in a line.

/// `AsyncWrite` for `$wrapper`, generic over what stands in brackets, whose `$($stream).+` is written to as it is.
macro_rules! write_through {
    ([$($bound:tt)*] $wrapper:ty => $($stream:tt).+) => {
        impl<$($bound)*> tokio::io::AsyncWrite for $wrapper {
            fn poll_write(
                self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
                bytes: &[u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                std::pin::Pin::new(&mut self.get_mut().$($stream).+).poll_write(context, bytes)
            }

            fn poll_write_vectored(
                self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
                slices: &[std::io::IoSlice<'_>],
            ) -> std::task::Poll<std::io::Result<usize>> {
                std::pin::Pin::new(&mut self.get_mut().$($stream).+).poll_write_vectored(context, slices)
            }

            fn is_write_vectored(&self) -> bool {
                self.$($stream).+.is_write_vectored()
            }

            fn poll_flush(
                self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                std::pin::Pin::new(&mut self.get_mut().$($stream).+).poll_flush(context)
            }

            fn poll_shutdown(
                self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                std::pin::Pin::new(&mut self.get_mut().$($stream).+).poll_shutdown(context)
            }
        }
    };
}

pub(crate) use write_through;
