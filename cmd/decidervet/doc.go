// Command decidervet finds mistakes in deciders.
package main
