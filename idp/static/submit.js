// Sends the answer on without a press of the button. Without JavaScript the button does the same.
document.getElementById("form-post").submit();
