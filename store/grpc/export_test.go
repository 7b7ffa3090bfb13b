package grpc

// BackOff is backOff.
var BackOff = backOff
