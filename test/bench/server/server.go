package server

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/stsbackup/stsbackup/test/bench/tool"
)

const (
	accessKey = "AKIDSTSBACKUPBENCH"
	secretKey = "benchmark-secret-key"
	region    = "us-east-1"
	bucket    = "bench"
)

// readyLimit is how long the server may take to answer, tick how often to ask it.
const (
	readyLimit = 30 * time.Second
	tick       = 20 * time.Millisecond
)

// Server is a running versitygw, which keeps objects as files.
type Server struct {
	// S3 says how to reach its bucket; the caller sets the prefix.
	S3 tool.S3
	// Dir is the directory that holds the bucket's objects under their names.
	Dir string

	cmd   *exec.Cmd
	ended chan struct{}
}

// Start runs the program with its data in dir, and waits until it answers. The caller calls Stop.
func Start(ctx context.Context, program, dir string) (*Server, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	data, users := filepath.Join(dir, "data"), filepath.Join(dir, "users")
	for _, path := range []string{filepath.Join(data, bucket), users} {
		if err := os.MkdirAll(path, 0o755); err != nil {
			return nil, fmt.Errorf("start the S3 server: %w", err)
		}
	}
	cmd := exec.CommandContext(ctx, program, "--port", address, "--access", accessKey, "--secret", secretKey, "--region", region,
		"--health", "/health", "--keep-alive", "--quiet", "--iam-dir", users, "posix", data)
	cmd.Env = []string{"HOME=" + users}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the S3 server: %w; build it with \"make test-servers\"", err)
	}
	s := &Server{
		S3:  tool.S3{Address: address, Region: region, Bucket: bucket, AccessKey: accessKey, SecretKey: secretKey},
		Dir: filepath.Join(data, bucket), cmd: cmd, ended: make(chan struct{}),
	}
	go func() {
		defer close(s.ended)
		_ = cmd.Wait() // either it was killed in the end, or the wait for it reports that it has gone
	}()
	if err := s.ready(ctx); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// Stop ends the server.
func (s *Server) Stop() {
	_ = s.cmd.Process.Kill() // it may have ended
	<-s.ended
}

func (s *Server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	client := &http.Client{Timeout: time.Second}
	defer client.CloseIdleConnections()
	timer := time.NewTicker(tick)
	defer timer.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.S3.Address+"/health", nil)
		if err != nil {
			return fmt.Errorf("ask the S3 server: %w", err)
		}
		if response, err := client.Do(request); err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-timer.C:
		case <-s.ended:
			return fmt.Errorf("the S3 server %s ended at once: %v", s.cmd.Path, s.cmd.ProcessState)
		case <-ctx.Done():
			return fmt.Errorf("wait for the S3 server: %w", ctx.Err())
		}
	}
}

// freeAddress is an address of the loopback interface that nobody listened on a moment ago.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return listener.Addr().String(), listener.Close()
}
