package cluster

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	snapshotclient "github.com/kubernetes-csi/external-snapshotter/client/v6/clientset/versioned"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/remotecommand"
)

// Client is a connection to one cluster.
type Client struct {
	// Kube speaks to the API server.
	Kube kubernetes.Interface
	// Snapshots speaks to the VolumeSnapshot API, which a cluster may lack.
	Snapshots snapshotclient.Interface
	// Dynamic reads objects of other tools, of kinds that the cluster may lack. With nil, none of them can be read.
	Dynamic dynamic.Interface
	// Executor connects to a container of a pod, for Exec. With nil, no command can be run.
	Executor func(ExecRequest) (remotecommand.Executor, error)
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Waiting, if set, is told what a wait for the pods or a claim of a StatefulSet waits for: first after 10
	// seconds, then once a minute.
	Waiting func(message string)
	// Relist is how long to trust a quiet watch before listing its objects again; zero means 30 s.
	Relist time.Duration

	host string // the API server's address, for messages; may be empty
}

func (c *Client) now() time.Time {
	if c.Now == nil {
		return time.Now() //nolint:forbidigo // the default of the injected clock
	}
	return c.Now()
}

// relist returns the timing for waits on the cluster.
func (c *Client) relist() rhythm { return rhythm{relist: cmp.Or(c.Relist, 30*time.Second), now: c.now} }

// server is what messages call the API server.
func (c *Client) server() string { return strings.TrimSpace("the API server " + c.host) }

// Connect opens the cluster that kubeconfig (a path; empty: KUBECONFIG, ~/.kube/config, or the pod's own
// account) and context (empty: the current one) name. It also returns the default namespace there. It does not
// contact the server yet.
func Connect(kubeconfig, context string) (client *Client, defaultNamespace string, err error) {
	loader := loadConfig(kubeconfig, context)
	config, err := loader.ClientConfig()
	if err != nil {
		return nil, "", fmt.Errorf("find the cluster: %w; give --kubeconfig or set KUBECONFIG", err)
	}
	if defaultNamespace, _, err = loader.Namespace(); err != nil {
		return nil, "", fmt.Errorf("find the default namespace: %w", err)
	}
	config.QPS, config.Burst = 50, 100
	config.UserAgent = "stsbackup"
	config.WarningHandler = rest.NoWarnings{}
	plain := rest.CopyConfig(config)
	config.Wrap(newFence)
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, "", fmt.Errorf("connect to the cluster: %w", err)
	}
	snapshots, err := snapshotclient.NewForConfig(config)
	if err != nil {
		return nil, "", fmt.Errorf("connect to the cluster: %w", err)
	}
	others, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, "", fmt.Errorf("connect to the cluster: %w", err)
	}
	return &Client{
		Kube: kube, Snapshots: snapshots, Dynamic: others, Executor: executorOf(plain, kube), host: config.Host,
	}, defaultNamespace, nil
}

// DefaultNamespace is the namespace that Connect would return; "default" if no cluster is configured.
func DefaultNamespace(kubeconfig, context string) (string, error) {
	namespace, _, err := loadConfig(kubeconfig, context).Namespace()
	if err != nil && !clientcmd.IsEmptyConfig(err) {
		return "", fmt.Errorf("find the default namespace: %w", err)
	}
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	return namespace, nil
}

func loadConfig(kubeconfig, context string) clientcmd.ClientConfig {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: context})
}

// UID tells this cluster from every other: it is the UID of the kube-system namespace, which lives as long as the cluster.
func (c *Client) UID(ctx context.Context) (string, error) {
	namespace, err := c.Kube.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	if apierrors.IsForbidden(err) {
		return "", fmt.Errorf(
			"identify the cluster by its namespace %s: %w; see docs/rbac.md for the right to read this one",
			metav1.NamespaceSystem,
			err,
		)
	}
	if err != nil {
		return "", fmt.Errorf("identify the cluster by its namespace %s: %w", metav1.NamespaceSystem, err)
	}
	return string(namespace.UID), nil
}
