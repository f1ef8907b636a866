package s3

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
)

// The keys of the servers' first user.
const (
	rootAccess = "AKIDSTSBACKUPTEST"
	rootSecret = "not/a+secret=for-anybody-else"

	// versitygwRegion is a region that no client uses unless it has asked or been told.
	versitygwRegion = "elsewhere-1"
)

// server is a real S3 server that belongs to one test.
type server struct {
	endpoint string
	caFile   string
	style    Addressing
	// domain is the domain for virtual-host style; every name in it is the server.
	domain  string
	buckets atomic.Int32
}

// program finds a server's program, which "make test-servers" builds.
func program(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("STSBACKUP_TEST_BIN")
	if dir == "" {
		dir = filepath.Join("..", "..", ".cluster", "bin")
	}
	path, err := filepath.Abs(filepath.Join(dir, name))
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf(
			"the S3 server %s is missing (%v): build it with \"make test-servers\", or set STSBACKUP_TEST_BIN to the folder that it is in",
			name,
			err,
		)
	}
	return path
}

// freePort returns a port of the loopback interface that nobody listened on a moment ago.
func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// start runs a server's program until the test ends, and waits for its health page.
func start(t *testing.T, s *server, healthPath string, cmd *exec.Cmd) {
	t.Helper()
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	endWithTests(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // it is killed, or its output says more
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("%s said:\n%s", filepath.Base(cmd.Path), tail(output.Bytes()))
		}
	})
	client := &http.Client{Transport: s.transport(t), Timeout: time.Second}
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if response, err := client.Get(s.endpoint + healthPath); err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-tick.C:
		case <-ended:
			t.Fatalf("%s ended: %v\n%s", cmd.Path, cmd.ProcessState, tail(output.Bytes()))
		case <-ctx.Done():
			t.Fatalf("%s is not ready after a minute", cmd.Path)
		}
	}
}

func tail(output []byte) []byte { return output[max(0, len(output)-4000):] }

// startVersitygw runs versitygw over plain HTTP, in a region of its own. It knows its own users: see addUser.
func startVersitygw(t *testing.T) *server {
	t.Helper()
	dir, port := t.TempDir(), freePort(t)
	s := &server{endpoint: "http://127.0.0.1:" + port, style: PathStyle}
	users := t.TempDir()
	cmd := exec.Command(program(t, "versitygw"), "--port", "127.0.0.1:"+port, "--access", rootAccess, "--secret", rootSecret,
		"--region", versitygwRegion, "--health", "/health", "--keep-alive", "--quiet", "--iam-dir", users, "posix", dir)
	cmd.Env = []string{"HOME=" + users}
	start(t, s, "/health", cmd)
	return s
}

// addUser adds a user to a versitygw. The user owns nothing and may do nothing.
func (s *server) addUser(t *testing.T, access, secret string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program(t, "versitygw"), "admin", "--access", rootAccess, "--secret", rootSecret,
		"--region", versitygwRegion, "--endpoint-url", s.endpoint, "create-user", "--access", access, "--secret", secret, "--role", "user")
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("create user: %v\n%s", err, output)
	}
}

// startMinIO runs MinIO over plain HTTP and in path style.
func startMinIO(t *testing.T) *server {
	t.Helper()
	port := freePort(t)
	s := &server{endpoint: "http://127.0.0.1:" + port, style: PathStyle}
	runMinIO(t, s, port)
	return s
}

// startSecureMinIO runs MinIO over TLS, with a certificate from an authority of its own, and in virtual-host style.
func startSecureMinIO(t *testing.T) *server {
	t.Helper()
	port, certs := freePort(t), t.TempDir()
	s := &server{
		endpoint: "https://s3.test:" + port,
		caFile:   filepath.Join(certs, "authority.pem"),
		style:    VirtualHostStyle,
		domain:   "s3.test",
	}
	makeCertificates(t, certs, "s3.test", "*.s3.test")
	runMinIO(t, s, port, "--certs-dir", certs)
	return s
}

func runMinIO(t *testing.T, s *server, port string, flags ...string) {
	t.Helper()
	dir := t.TempDir()
	args := append([]string{"server", "--quiet", "--address", "127.0.0.1:" + port, "--console-address", "127.0.0.1:" + freePort(t)}, flags...)
	cmd := exec.Command(program(t, "minio"), append(args, filepath.Join(dir, "data"))...)
	cmd.Env = []string{"HOME=" + dir, "MINIO_ROOT_USER=" + rootAccess, "MINIO_ROOT_PASSWORD=" + rootSecret, "MINIO_DOMAIN=" + s.domain,
		"MINIO_UPDATE=off", "MINIO_BROWSER=off", "MINIO_CI_CD=on"} // the last: it takes a folder on the root disk
	start(t, s, "/minio/health/ready", cmd)
}

// makeCertificates writes public.crt and private.key for the names, and authority.pem, whose key has signed them.
func makeCertificates(t *testing.T, dir string, names ...string) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	authorityKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	certificate := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: authority.NotBefore, NotAfter: authority.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	authorityDER, err := x509.CreateCertificate(rand.Reader, authority, authority, authorityKey.Public(), authorityKey)
	check(err)
	certificateDER, err := x509.CreateCertificate(rand.Reader, certificate, authority, key.Public(), authorityKey)
	check(err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	check(err)
	for file, block := range map[string]*pem.Block{
		"authority.pem": {Type: "CERTIFICATE", Bytes: authorityDER},
		"public.crt":    {Type: "CERTIFICATE", Bytes: certificateDER},
		"private.key":   {Type: "PRIVATE KEY", Bytes: keyDER},
	} {
		check(os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600))
	}
}

// transport is the product's own, but finds names in the server's domain without DNS.
func (s *server) transport(t *testing.T) *http.Transport {
	t.Helper()
	transport, err := newTransport(s.caFile, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(address)
		if err == nil && s.domain != "" && (host == s.domain || strings.HasSuffix(host, "."+s.domain)) {
			address = net.JoinHostPort("127.0.0.1", port)
		}
		return dial(ctx, network, address)
	}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

func (s *server) config(bucket string) Config {
	return Config{Bucket: bucket, Endpoint: s.endpoint, CAFile: s.caFile, Addressing: s.style}
}

// environment is a getenv with these keys and no other way to find credentials.
func environment(access, secret, token string) func(string) string {
	variables := map[string]string{
		"AWS_ACCESS_KEY_ID": access, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": token, "AWS_EC2_METADATA_DISABLED": "true",
	}
	return func(name string) string { return variables[name] }
}

var asRoot = environment(rootAccess, rootSecret, "")

// open opens a bucket with this config and these credentials.
func (s *server) open(t *testing.T, config Config, getenv func(string) string) *Bucket {
	t.Helper()
	bucket, err := open(config, getenv, s.transport(t))
	if err != nil {
		t.Fatal(err)
	}
	return bucket
}

// newBucket makes a bucket on the server and opens it as root.
func (s *server) newBucket(t *testing.T) *Bucket {
	t.Helper()
	bucket := s.open(t, s.config(fmt.Sprintf("test-%d", s.buckets.Add(1))), asRoot)
	err := bucket.try(t.Context(), call{verb: "make"}, func(ctx context.Context) error {
		return bucket.client.MakeBucket(ctx, bucket.config.Bucket, minio.MakeBucketOptions{})
	})
	if err != nil {
		t.Fatal(err)
	}
	return bucket
}
