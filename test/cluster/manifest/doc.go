// Package manifest holds the objects that every test cluster has: the storage and snapshot classes, the rights of the
// components, and the Services of the name server and of S3. They are templates over spec.Cluster, in the order in
// which they are created.
package manifest
