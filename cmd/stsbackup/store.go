package main

import (
	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/storage/location"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// openStore opens the repository root that the flags and the environment name. It does not speak to the bucket yet.
func openStore(a *app, flags *repoFlags) (*location.Root, error) {
	url, err := flags.location(a)
	if err != nil {
		return nil, err
	}
	password, err := flags.password(a)
	if err != nil {
		return nil, err
	}
	return location.Open(flags.at(a, url), repository.Secret(password))
}

// at is where a repository root is, with the limits of the flags.
func (f *repoFlags) at(a *app, url string) location.Config {
	return location.Config{URL: url, Limits: location.Limits(f.limits), Getenv: a.getenv, Now: a.now}
}

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
