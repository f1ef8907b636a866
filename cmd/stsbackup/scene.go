package main

import (
	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/storage/location"
)

// scene is what an operation on one StatefulSet of a cluster works with.
type scene struct {
	target target
	store  *location.Root
	client *cluster.Client
}

// openScene opens the repository root and the cluster. If the target has no namespace, it gets the kubeconfig's.
func openScene(a *app, kube *kubeFlags, repo *repoFlags, t target) (scene, error) {
	store, err := openStore(a, repo)
	if err != nil {
		return scene{}, err
	}
	client, namespace, err := cluster.Connect(kube.kubeconfig, kube.context)
	if err != nil {
		return scene{}, err
	}
	if t.namespace == "" {
		t.namespace = namespace
	}
	return scene{target: t, store: store, client: client}, nil
}
