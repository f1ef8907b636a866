package proxy

import (
	"context"
	"io"
	"net"
	"sync"
	"time"
)

// dialTimeout bounds how long one connection may take to get inside: if a server is missing, that should soon show.
const dialTimeout = 5 * time.Second

// Serve accepts connections and joins each with one to the target, until the context ends.
func Serve(ctx context.Context, listener net.Listener, target string) {
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go join(ctx, conn, target)
	}
}

func join(ctx context.Context, outside net.Conn, target string) {
	defer outside.Close()
	dialer := net.Dialer{Timeout: dialTimeout}
	inside, err := dialer.DialContext(ctx, "tcp", target)
	if err != nil {
		return // the client sees its connection closed
	}
	defer inside.Close()
	stop := context.AfterFunc(ctx, func() { _, _ = outside.Close(), inside.Close() })
	defer stop()
	var both sync.WaitGroup
	both.Go(func() { pass(inside, outside) })
	both.Go(func() { pass(outside, inside) })
	both.Wait()
}

// pass copies one direction and passes its end on; the other direction may still have much to say.
func pass(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}
