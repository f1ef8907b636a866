package pki

import (
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/stsbackup/stsbackup/test/cluster/spec"
)

// Admins is the group that Kubernetes itself allows everything.
const Admins = "system:masters"

// StorageGroup is the group of the CSI sidecars and the snapshot controller; a manifest gives it the rights that they
// need.
const StorageGroup = "stsbackup-test:storage"

// identity is a component's user and groups.
type identity struct {
	component, user string
	groups          []string
}

func identities(c spec.Cluster) []identity {
	all := []identity{
		{component: "admin", user: "admin", groups: []string{Admins}},
		{component: "kube-controller-manager", user: "system:kube-controller-manager"},
		{component: "kube-scheduler", user: "system:kube-scheduler"},
		{component: "kube-proxy", user: "system:kube-proxy"},
		{component: "kube-router", user: "system:kube-router"},
		{component: "coredns", user: "system:coredns"},
		{component: "storage", user: "storage-sidecars", groups: []string{StorageGroup}},
	}
	for _, n := range c.Nodes {
		all = append(all, identity{component: n.Component("kubelet"), user: "system:node:" + n.Name, groups: []string{"system:nodes"}})
	}
	return all
}

// Generate makes all keys, certificates and kubeconfigs of a cluster. The last kubeconfig, at c.Kubeconfig(), is for
// the host, where the API server answers at hostServer.
func Generate(c spec.Cluster, hostServer string, now time.Time) error {
	if err := os.MkdirAll(c.PKI(), 0o700); err != nil {
		return err
	}
	ca, err := NewAuthority(now)
	if err != nil {
		return err
	}
	if err := ca.Write(c.PKI(), "ca"); err != nil {
		return err
	}
	signing, err := SigningKey()
	if err != nil {
		return err
	}
	if err := signing.Write(c.PKI(), "service-accounts"); err != nil {
		return err
	}
	if err := servers(c, ca); err != nil {
		return err
	}
	kubelets, err := ca.Client("kube-apiserver-kubelet-client", Admins)
	if err != nil {
		return err
	}
	if err := kubelets.Write(c.PKI(), "apiserver-kubelet-client"); err != nil {
		return err
	}
	for _, id := range identities(c) {
		pair, err := ca.Client(id.user, id.groups...)
		if err != nil {
			return err
		}
		if err := writeKubeconfig(c.KubeconfigOf(id.component), c.Server(), ca.Cert, pair); err != nil {
			return err
		}
		if id.component == "admin" {
			if err := writeKubeconfig(c.Kubeconfig(), hostServer, ca.Cert, pair); err != nil {
				return err
			}
		}
	}
	return nil
}

// servers makes the certificates of the API server and of the kubelets.
func servers(c spec.Cluster, ca *Authority) error {
	loopback := net.IPv4(127, 0, 0, 1)
	names := []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"}
	api, err := ca.Server("kube-apiserver", names, []net.IP{loopback, c.ControlPlane().Address.AsSlice(), c.API.AsSlice()})
	if err != nil {
		return err
	}
	if err := api.Write(c.PKI(), "apiserver"); err != nil {
		return err
	}
	for _, n := range c.Nodes {
		pair, err := ca.Server("system:node:"+n.Name, []string{n.Name}, []net.IP{n.Address.AsSlice()})
		if err != nil {
			return err
		}
		if err := pair.Write(c.PKI(), n.Component("kubelet")); err != nil {
			return err
		}
	}
	return nil
}

func writeKubeconfig(path, server string, ca []byte, pair Pair) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	b64 := base64.StdEncoding.EncodeToString
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: stsbackup-test
clusters:
- name: stsbackup-test
  cluster: {server: %q, certificate-authority-data: %s}
users:
- name: stsbackup-test
  user: {client-certificate-data: %s, client-key-data: %s}
contexts:
- name: stsbackup-test
  context: {cluster: stsbackup-test, user: stsbackup-test}
`, server, b64(ca), b64(pair.Cert), b64(pair.Key))
	return os.WriteFile(path, []byte(text), 0o600)
}
