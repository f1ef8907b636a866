//go:build e2e

package e2e

import (
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
)

// outageOfTest is longer than the holder of a Lease believes in it, and than others wait until they take it.
const outageOfTest = 40 * time.Second

// TestOperationsOutliveAnOutage cuts a backup and a restore off from the API server in the middle. Their movers go on.
// The operations say that they wait, change nothing meanwhile, and finish.
func TestOperationsOutliveAnOutage(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "outage")
	s.apply(workload{name: "web", replicas: 1, class: "reflink"}.manifest(), "web")
	saved := s.exec("web-0", "cat /data/id; sha256sum /data/noise")
	line, web := s.cuttable(), s.Namespace+"/web"
	for _, operation := range []struct {
		args []string
		at   string
	}{
		{[]string{"backup", web, "--limit-upload", "16"}, "data-web-0: copying"},
		{[]string{"restore", web, "--yes", "--limit-download", "16"}, "data-web-0: restoring"},
	} {
		if operation.args[0] == "restore" {
			s.exec("web-0", "echo damaged > /data/id; head -c 1000 /dev/urandom > /data/noise; sync")
		}
		p := s.start(append(operation.args, "--kubeconfig", line.kubeconfig)...)
		p.until(operation.at)
		line.cut()
		begun := time.Now()
		p.until("does not answer")
		if told := time.Since(begun); told > 12*time.Second {
			t.Errorf("%s: said that the API server does not answer after %s", operation.args[0], told)
		}
		renewed := s.kubectl("get", "lease", "stsbackup-web", "--output=jsonpath={.spec.renewTime}")
		s.until("the API server has been away for "+outageOfTest.String(), func() (bool, string) { return time.Since(begun) > outageOfTest, "" })
		if now := s.kubectl("get", "lease", "stsbackup-web", "--output=jsonpath={.spec.renewTime}"); now != renewed {
			t.Errorf("%s: the Lease was renewed at %s, and at %s through a line that is cut", operation.args[0], renewed, now)
		}
		line.mend()
		p.until("answers again")
		if code := p.end(); code != 0 {
			t.Fatalf("%s: exit code %d:\n%s", operation.args[0], code, &p.said)
		}
		if strings.Contains(p.said.String(), "warning") {
			t.Errorf("%s:\n%s", operation.args[0], &p.said)
		}
		s.nothingLeft()
	}
	s.waitReady("web")
	if now := s.exec("web-0", "cat /data/id; sha256sum /data/noise"); now != saved {
		t.Errorf("restored\n%s\nwant\n%s", now, saved)
	}
	for _, volume := range s.displaced(1) {
		s.freeVolumes(volume)
	}
}

// cuttable is a connection to the API server that the test can cut and mend.
type cuttable struct {
	s          *scenario
	kubeconfig string // leads through the connection
	address    string
	target     string

	mutex    sync.Mutex
	listener net.Listener // nil while it is cut
	open     []net.Conn
}

// cuttable makes a connection, and the operator's kubeconfig uses it from then on.
func (s *scenario) cuttable() *cuttable {
	s.t.Helper()
	config, err := clientcmd.LoadFromFile(environment.Operator)
	if err != nil {
		s.t.Fatal(err)
	}
	c := &cuttable{s: s, address: "127.0.0.1:0", kubeconfig: filepath.Join(s.t.TempDir(), "kubeconfig")}
	c.mend()
	s.t.Cleanup(c.cut)
	for _, to := range config.Clusters {
		c.target = strings.TrimPrefix(to.Server, "https://")
		host, _, err := net.SplitHostPort(c.target)
		if err != nil {
			s.t.Fatal(err)
		}
		to.Server, to.TLSServerName = "https://"+c.address, host
	}
	if err := clientcmd.WriteToFile(*config, c.kubeconfig); err != nil {
		s.t.Fatal(err)
	}
	return c
}

// mend makes the connection lead to the API server.
func (c *cuttable) mend() {
	c.s.t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(c.s.ctx, "tcp", c.address)
	if err != nil {
		c.s.t.Fatal(err)
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.listener, c.address = listener, listener.Addr().String()
	go func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return // the connection is cut
			}
			go c.carry(from)
		}
	}()
}

// cut breaks all connections, and accepts none.
func (c *cuttable) cut() {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.listener != nil {
		_ = c.listener.Close()
	}
	c.listener = nil
	for _, connection := range c.open {
		_ = connection.Close()
	}
	c.open = nil
}

// carry carries one TCP connection.
func (c *cuttable) carry(from net.Conn) {
	defer from.Close()
	to, err := (&net.Dialer{}).DialContext(c.s.ctx, "tcp", c.target)
	if err != nil {
		return
	}
	defer to.Close()
	c.mutex.Lock()
	cut := c.listener == nil
	c.open = append(c.open, from, to)
	c.mutex.Unlock()
	if cut {
		return
	}
	go func() {
		_, _ = io.Copy(to, from)
		_ = to.Close()
	}()
	_, _ = io.Copy(from, to)
}
