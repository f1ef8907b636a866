package proxy

import (
	"io"
	"net"
	"testing"
)

// TestHalfClose: a client that has said everything still gets the answer.
func TestHalfClose(t *testing.T) {
	server, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go func() {
		conn, err := server.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		asked, _ := io.ReadAll(conn) // ends with the client's half
		_, _ = conn.Write(append([]byte("you said: "), asked...))
	}()
	client := dial(t, server.Addr().String())
	if _, err := client.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if err := client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(client); err != nil || string(got) != "you said: hello" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestNobodyInside: if the server does not exist, the client sees the end of its connection.
func TestNobodyInside(t *testing.T) {
	free, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target := free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(dial(t, target)); len(got) > 0 {
		t.Errorf("%q, %v", got, err)
	}
}

// dial connects to a target through a proxy.
func dial(t *testing.T, target string) *net.TCPConn {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		Serve(t.Context(), listener, target)
	}()
	t.Cleanup(func() { <-ended }) // the test's context has ended by then
	conn, err := net.Dial("tcp4", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn.(*net.TCPConn)
}
