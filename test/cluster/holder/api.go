package holder

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/stsbackup/stsbackup/test/cluster/spec"
)

// api asks the API server the few questions that show whether the cluster works. Objects are created with kubectl.
type api struct {
	server string
	client *http.Client
}

// newAPI returns a client with the rights of an administrator.
func newAPI(c spec.Cluster) (*api, error) {
	cert, err := tls.LoadX509KeyPair(c.PKI("apiserver-kubelet-client.crt"), c.PKI("apiserver-kubelet-client.key"))
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(c.PKI("ca.crt"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	transport := &http.Transport{TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: roots}}
	return &api{server: c.Server(), client: &http.Client{Transport: transport}}, nil
}

// get reads a path, and decodes the answer unless out is nil.
func (a *api) get(ctx context.Context, path string, out any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.server+path, nil)
	if err != nil {
		return err
	}
	response, err := a.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", path, response.Status, strings.TrimSpace(string(body)))
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(body, out)
}

// resources says whether a group and version serves all of these resources: it does once their definitions are
// established.
func (a *api) resources(ctx context.Context, groupVersion string, names ...string) error {
	var list struct {
		Resources []struct {
			Name string `json:"name"`
		} `json:"resources"`
	}
	if err := a.get(ctx, "/apis/"+groupVersion, &list); err != nil {
		return err
	}
	served := map[string]bool{}
	for _, r := range list.Resources {
		served[r.Name] = true
	}
	for _, name := range names {
		if !served[name] {
			return fmt.Errorf("%s in %s is not served yet", name, groupVersion)
		}
	}
	return nil
}

// nodeReady says whether a node is Ready.
func (a *api) nodeReady(ctx context.Context, name string) error {
	var node struct {
		Status struct {
			Conditions []struct{ Type, Status, Message string }
		}
	}
	if err := a.get(ctx, "/api/v1/nodes/"+name, &node); err != nil {
		return err
	}
	for _, c := range node.Status.Conditions {
		if c.Type == "Ready" && c.Status == "True" {
			return nil
		} else if c.Type == "Ready" {
			return fmt.Errorf("node %s is not Ready: %s", name, c.Message)
		}
	}
	return fmt.Errorf("node %s has no condition Ready", name)
}

// driverRegistered says whether the kubelet of a node knows a CSI driver.
func (a *api) driverRegistered(ctx context.Context, node, driver string) error {
	var csi struct {
		Spec struct {
			Drivers []struct{ Name string }
		}
	}
	if err := a.get(ctx, "/apis/storage.k8s.io/v1/csinodes/"+node, &csi); err != nil {
		return err
	}
	for _, d := range csi.Spec.Drivers {
		if d.Name == driver {
			return nil
		}
	}
	return fmt.Errorf("the kubelet of %s has not registered driver %s", node, driver)
}
