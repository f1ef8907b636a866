package cluster

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
)

// sockets are the host's listening sockets that the holder takes over.
type sockets struct{ api, s3 *os.File }

func (s sockets) close() { _, _ = s.api.Close(), s.s3.Close() }

// ports are remembered from run to run, so that an address in a shell's environment stays right.
type ports struct {
	API int `json:"api"`
	S3  int `json:"s3"`
}

// listen opens the two sockets on loopback: at the ports of the previous run if they are free, otherwise at any.
func (h Harness) listen() (sockets, error) {
	var last ports
	if data, err := os.ReadFile(h.Spec.Ports()); err == nil {
		_ = json.Unmarshal(data, &last) // if it makes no sense, any free port will do
	}
	api, apiPort, err := listenNear(last.API)
	if err != nil {
		return sockets{}, err
	}
	s3, s3Port, err := listenNear(last.S3)
	if err != nil {
		_ = api.Close()
		return sockets{}, err
	}
	data, err := json.Marshal(ports{API: apiPort, S3: s3Port})
	if err == nil {
		err = os.WriteFile(h.Spec.Ports(), data, 0o644)
	}
	opened := sockets{api: api, s3: s3}
	if err != nil {
		opened.close()
		return sockets{}, err
	}
	return opened, nil
}

func listenNear(port int) (*os.File, int, error) {
	listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil && port != 0 {
		listener, err = net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	}
	if err != nil {
		return nil, 0, fmt.Errorf("open a port on loopback: %w", err)
	}
	defer listener.Close() // the file is a copy
	file, err := listener.File()
	if err != nil {
		return nil, 0, fmt.Errorf("open a port on loopback: %w", err)
	}
	return file, listener.Addr().(*net.TCPAddr).Port, nil
}
