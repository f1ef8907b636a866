package pki

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/stsbackup/stsbackup/test/cluster/spec"
)

func TestGenerate(t *testing.T) {
	c, err := spec.New("/state")
	if err != nil {
		t.Fatal(err)
	}
	c.Dir = t.TempDir()
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	if err := Generate(c, "https://127.0.0.1:12345", now); err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(c.PKI("ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	server, err := tls.LoadX509KeyPair(c.PKI("apiserver.crt"), c.PKI("apiserver.key"))
	if err != nil {
		t.Fatal(err)
	}
	// By every name that somebody uses: the host's proxy, the node's address, the Service.
	for _, name := range []string{"127.0.0.1", "10.244.0.1", "10.96.0.1", "kubernetes.default.svc"} {
		if _, err := server.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, CurrentTime: now}); err != nil {
			t.Errorf("as %s: %v", name, err)
		}
	}
	for component, want := range map[string][2]string{
		"admin":          {"admin", Admins},
		"kubelet-node-a": {"system:node:node-a", "system:nodes"},
		"storage":        {"storage-sidecars", StorageGroup},
	} {
		cert := clientOf(t, c.KubeconfigOf(component), "https://10.244.0.1:6443")
		if cert.Subject.CommonName != want[0] || cert.Subject.Organization[0] != want[1] {
			t.Errorf("%s is %s", component, cert.Subject)
		}
		if _, err := cert.Verify(
			x509.VerifyOptions{Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}},
		); err != nil {
			t.Errorf("%s: %v", component, err)
		}
	}
	clientOf(t, c.Kubeconfig(), "https://127.0.0.1:12345")
}

// clientOf reads the client certificate of a kubeconfig, which must be for this server.
func clientOf(t *testing.T, path, server string) *x509.Certificate {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var kubeconfig struct {
		Clusters []struct {
			Cluster struct {
				Server string `json:"server"`
			} `json:"cluster"`
		} `json:"clusters"`
		Users []struct {
			User struct {
				Cert []byte `json:"client-certificate-data"`
				Key  []byte `json:"client-key-data"`
			} `json:"user"`
		} `json:"users"`
	}
	if err := yaml.Unmarshal(data, &kubeconfig); err != nil {
		t.Fatal(err)
	}
	if got := kubeconfig.Clusters[0].Cluster.Server; got != server {
		t.Errorf("%s is for %s, not %s", path, got, server)
	}
	pair, err := tls.X509KeyPair(kubeconfig.Users[0].User.Cert, kubeconfig.Users[0].User.Key)
	if err != nil {
		t.Fatal(err)
	}
	return pair.Leaf
}
