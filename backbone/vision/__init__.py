"""The planner's model with eyes: pictures in, and linked decoders for boxes, masks and joints out."""
