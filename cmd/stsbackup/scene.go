package main

import (
	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/storage/location"
)

// scene is what an operation on a StatefulSet of a cluster has to do with.
type scene struct {
	target target
	store  *location.Root
	client *cluster.Client
}

// openScene opens the repository's root and the cluster, and gives the target the kubeconfig's namespace if it has none.
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
