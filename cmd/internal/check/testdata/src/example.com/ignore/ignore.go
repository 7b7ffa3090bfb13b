package ignore

//decidervet:ignore because
var a = 1

//decidervet:ignored is another word
var b = 1 /* want `//decidervet:ignore needs a reason` */ //decidervet:ignore

var c = 1 //decidervet:ignore because
