package tool

import "path/filepath"

// password is that of all repositories.
const password = "benchmark"

// Repository says where a repository is.
type Repository struct {
	// Dir is the directory that it is in, on this machine; if S3 is set, the folder of it that the server keeps.
	Dir string
	// Home is a directory for what the tool keeps outside of the repository.
	Home string
	// S3 is how to reach it, if it is not simply in Dir.
	S3 *S3
}

// S3 is a part of a bucket of an S3 server.
type S3 struct {
	// Address is host:port, reached by plain HTTP.
	Address string
	// Region is the bucket's.
	Region string
	// Bucket and Prefix say which part of which bucket.
	Bucket, Prefix string
	// AccessKey and SecretKey are the credentials.
	AccessKey, SecretKey string
}

// Command is a program to be run.
type Command struct {
	// Path is the program's, Args are its arguments.
	Path string
	Args []string
	// Env is its whole environment, but for PATH.
	Env []string
	// Dir is where it runs; "" is here.
	Dir string
}

// Tool is one of those that are compared.
type Tool interface {
	// Name is the tool's name.
	Name() string
	// Version makes it say its version.
	Version() Command
	// Init are the commands that make an empty repository, in their order.
	Init(Repository) []Command
	// Backup saves the directory dir as a volume.
	Backup(r Repository, volume, dir string) Command
	// Restore brings the volume's last backup, which was that of dir, back into target, which does not exist.
	Restore(r Repository, volume, dir, target string) Command
}

// All are the tools, ours first; their programs are in the directory bin.
func All(bin string) []Tool {
	return []Tool{
		stsbackup{filepath.Join(bin, "stsbackup")},
		restic{filepath.Join(bin, "restic")},
		kopia{filepath.Join(bin, "kopia")},
	}
}

// awsEnv are the credentials as most tools take them.
func (s *S3) awsEnv() []string {
	if s == nil {
		return nil
	}
	return []string{"AWS_ACCESS_KEY_ID=" + s.AccessKey, "AWS_SECRET_ACCESS_KEY=" + s.SecretKey, "AWS_DEFAULT_REGION=" + s.Region}
}
