package nodeconfig

import "fmt"

// Version is the version of the documents that this package reads and writes.
const Version = 1

// The label that tells the ConfigMaps of this project apart, and its values. Users' objects carry
// "app: loadbalancer", as in 2016.
const (
	LabelApp  = "app"
	AppConfig = "kubectl-lb-config"
	AppNode   = "kubectl-lb-node"
)

// The keys of the ConfigMaps' data that hold the documents.
const (
	KeyConfig = "config.json"
	KeyStatus = "status.json"
)

// FleetName is the name of the ConfigMap that holds the [Fleet].
const FleetName = "lb-fleet"

// ShardPrefix starts the name of every ConfigMap that holds a [Shard].
const ShardPrefix = "lb-shard-"

// ShardName returns the name of the ConfigMap of the n-th shard.
func ShardName(n int) string { return fmt.Sprintf("%s%03d", ShardPrefix, n) }

// StatusPrefix starts the name of every ConfigMap that holds a node's [Status].
const StatusPrefix = "lb-node-"

// StatusName returns the name of the ConfigMap of a node's status.
func StatusName(node string) string { return StatusPrefix + node }
