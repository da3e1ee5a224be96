"""What several packages share and none owns: the tool card, run-length masks, the COCO skeleton. Imports none of them."""
