// Package config is lb-controller's configuration: a typed document, decoded strictly, with a flag or an environment
// variable over it where one exists. It is the only place of the controller that knows viper, and reads nothing after
// the start.
package config
