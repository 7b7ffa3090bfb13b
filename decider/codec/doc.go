// Package codec turns the events of an aggregate into bytes and back.
package codec
