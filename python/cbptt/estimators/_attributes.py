"""The documentation of what `fit` learns, for the docstrings of the estimators."""

# Name to what it is, and below it what it says.
ATTRIBUTES = {
    "network_": """RNN
        The fitted network; its `parameters` are the weights by name.""",
    "coefs_": """list of ndarrays
        [W0' (D, M), W1' (M, K)]: the weights as MLPClassifier lays them out, transposed. With other
        cells, layers or directions W0' (D, G M) of each, the lowest first; G is the number of gates
        in the order of `RNN.parameters`.""",
    "recurrent_coefs_": """list of ndarrays
        [W11' (M, M)], transposed too; in general W11' (M, G M) of each layer and direction.""",
    "intercepts_": """list of ndarrays
        [b0 (M,), b1 (K,)]; in general b0 (G M,) of each layer and direction, of a GRU followed by
        bias_hn (M,).""",
    "n_features_in_": """int
        Number of variables D of a step; for two-dimensional X its number of columns.""",
    "feature_names_in_": """(n_features_in_,) ndarray of str
        Names of the columns, if X was a data frame, or a list of data frames, with names.""",
    "n_outputs_": """int
        Number of outputs K.""",
    "n_layers_": """int
        Inputs, hidden layers and outputs: 3 with one hidden layer.""",
    "out_activation_": """str
        The output function.""",
    "n_iter_": """int
        Epochs of the last `fit`, or iterations of "lbfgs", and of the calls of `partial_fit` after
        it.""",
    "t_": """int
        Sequences seen in training, including those of fits before a warm start.""",
    "loss_": """float
        Loss of the last epoch: the mean over targets, penalty included.""",
    "best_loss_": """float or None
        Smallest loss of an epoch; None with early_stopping.""",
    "loss_curve_": """list of floats
        Loss of each epoch.""",
    "grad_norm_curve_": """list of floats
        Mean norm of the gradients of each epoch, before clipping.""",
    "clip_rate_": """float
        Fraction of the solver's steps whose gradient was clipped.""",
    "validation_loss_curve_": """list of floats, or None
        Loss on the held-out sequences after each epoch, without penalty and class weights; None
        where there are none.""",
    "validation_scores_": """list of floats, or None
        Score on the held-out sequences after each epoch; None where there are none.""",
    "best_validation_score_": """float or None
        The largest of the scores of the last fit, which with early_stopping is the score of the
        fitted weights. NaN if none is finite.""",
}
