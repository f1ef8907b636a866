package main

import (
	"context"
	"strings"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/limit"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// store is the root below which the repositories are, and the password that opens them.
type store struct {
	// url is the root's URL as the user gave it.
	url    string
	root   storage.Bucket
	limits limitFlags // those that root has
	secret repository.Secret
}

// openStore opens what the flags and the environment name. It does not speak to the bucket yet.
func openStore(a *app, flags *repoFlags) (*store, error) {
	url, err := flags.location(a)
	if err != nil {
		return nil, err
	}
	password, err := flags.password(a)
	if err != nil {
		return nil, err
	}
	limits, err := flags.limits.read(a)
	if err != nil {
		return nil, err
	}
	root, err := openBucket(a, url)
	if err != nil {
		return nil, err
	}
	return &store{url: url, root: limit.New(root, limits), limits: flags.limits, secret: repository.Secret(password)}, nil
}

// place is where the root is, for a message: its URL without the parameters.
func (s *store) place() string {
	place, _, _ := strings.Cut(s.url, "?")
	return place
}

// password is that of one StatefulSet's repository.
func (s *store) password(t target) repository.Secret {
	return catalog.Password(s.secret, t.namespace, t.statefulSet)
}

// points opens the catalog of a StatefulSet.
func (s *store) points(ctx context.Context, t target) (*catalog.Catalog, error) {
	return catalog.Open(ctx, s.root, t.namespace, t.statefulSet, s.password(t))
}

// scene is what an operation on a StatefulSet of a cluster has to do with.
type scene struct {
	target target
	store  *store
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
